// Package rangefile reads files over https by byte ranges, as an [io.ReaderAt], or from beginning to end.
//
// It is made for the HTTP side of XRootD, and for what stands in front of it. Ranges are closed and lie inside the file, because XRootD
// answers open ones with nothing and promises bytes beyond the end that never come. Only an answer 206 with the range that was asked
// for is data. What may pass is tried again, from the byte where it broke off: an answer of 5xx or 429, a connection that breaks, a
// server that says nothing for a while. [Config].Patience bounds how long no byte comes.
//
// A token is read from its file when it is needed, read again once when it is refused, and sent over https only. Redirects of XRootD
// carry the token in their address: no address but the one that was asked for ever stands in an error or a log, and that one
// without user, password and query. The address that a redirect led to is kept, since another trip through the redirector would
// cost two round trips for every range.
//
// The retries of go-retryablehttp end where an answer begins, and most of what breaks does so behind that: hence our own.
//
// Goroutines: those of net/http, until [Client.Close].
package rangefile
