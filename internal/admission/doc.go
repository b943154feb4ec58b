// Package admission says who is let in to the web server of idds: whoever shows a token of one of the roles that something is for, in a
// header of his request, or in a browser by the cookie with which he has logged in ([Door.Login]). Whoever comes too often is not.
//
// A cookie is a token that somebody has logged in with, for browsers send no Authorization header of a page. It is good for looking
// alone: whoever brings a browser to ask for something by it, from whatever page, changes nothing.
//
// What is let in to is not known here: idds/api asks for each operation and each handler that is mounted beside them. No goroutines.
package admission
