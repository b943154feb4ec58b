// Package lint says what is wrong, or will be, with a payload's TOML file and with a result, and where. The law is package payload's
// own: what it refuses is an error here too, with its line; what it could not know, or lets pass although it is seldom meant, is
// looked at beside.
package lint
