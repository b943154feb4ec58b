// Package payloadlog keeps what payloads print, for people: each stream of a slice in a file, written as it comes, so that it is there
// whatever ends the pilot; bounded in the middle, compressed when it is complete, and removed when nobody will want it.
//
// No slice fails or stalls for its log. Names are RUN.IDENTITY.aATTEMPT.slotSLOT.STREAM, by which [List] finds them again.
package payloadlog
