// Package top shows the board of idds in a terminal, as it changes: `idds top`.
//
// [Run] follows the service, connects again by itself when it was away, and says so meanwhile. Where it does not write to a terminal it
// writes a line whenever something has changed. What is on the screen is made by Screen, which knows nothing of terminals; bubbletea
// (charm.land/bubbletea/v2) draws it, and gives the terminal back as it was. One goroutine follows, one draws; Run waits for both.
package top
