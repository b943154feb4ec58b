package iddscmd

// LoadTokens is for tests of many at once: apps of the library share one help flag.
var LoadTokens = loadTokens
