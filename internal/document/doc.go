// Package document holds what idds says and is told over REST: what becomes of runs, slices and attempts, who works and who is alive,
// how many workers are wanted, and all of it at a glance.
//
// Pilots and harvesters write these documents, idds answers with them, and the pages, `idds top` and the commands of idds show them; some
// are kept in its store as they are. What goes over the broker is package message's.
//
// Times are UTC as RFC 3339 has them; a time, a number or a text that is not known is absent. What is measured in seconds or bytes has that
// in its name.
package document
