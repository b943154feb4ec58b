// Package lint says what is wrong, or will be, with a payload's TOML file and with a result, and where. The law is that of
// package payloadfile and package payload: what they refuse is an error here too, with its line; what they could not know, or let pass although it is seldom meant, is
// looked at beside.
package lint
