// Package apidoc says what operations a REST interface has, from the OpenAPI document that the library makes of them: the same document
// with what that leaves out, for programs, and a page for people.
package apidoc
