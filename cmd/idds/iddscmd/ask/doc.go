// Package ask is the commands of idds that ask a running service over REST, and print: they open no store and no broker, and need nothing
// but its address and a token.
package ask
