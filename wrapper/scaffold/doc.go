// Package scaffold writes the beginning of a payload: a program that works, its TOML file, its tests, and a slice to try it on. The
// templates are files as they will be written; in names and texts of them PAYLOAD_NAME stands for the payload's name, and the
// suffix .tmpl keeps a file from being taken for one of this module.
package scaffold
