// Package frontdoor is what stands before the handlers of a web server that strangers reach: a [Doorman] who bounds its connections,
// [Callers] who may call so often, a word about each request, answers that are not sent twice or are a [Problem], and an end in good order. It knows
// nothing of what is served.
package frontdoor
