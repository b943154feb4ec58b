package stomp

// WakeForNothing wakes the writer as a sender does whose frame has just gone out with another's; for tests.
func (c *Conn) WakeForNothing() { c.wake <- struct{}{} }
