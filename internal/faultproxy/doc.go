// Package faultproxy is a TCP proxy whose links can be made to fail: what stands between programs in `testbed chaos` and in
// tests that need a broken network.
//
// A [Proxy] passes bytes between its clients and one target. [Proxy.Set] puts [Conditions] on all its links, present and
// future, for each direction: hold everything back (a link that hangs, or half of one), delay, a rate limit, small pieces.
// Bytes are never lost or reordered while a connection lives, because TCP would not: a network that drops packets looks to
// its ends like one that holds them, until somebody gives the connection up. [Proxy.Cut] ends the links in order (FIN),
// [Proxy.Reset] abruptly (RST).
//
// Goroutines: two per direction of a link, one per connection attempt; [Proxy.Serve] returns when all have ended.
package faultproxy
