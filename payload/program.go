package payload

import "tfpilot/internal/keeper"

// What kinds whose programs know nothing of docs/payloads.md share with kind command.

// EndOf is the meaning of a program's end: nil for success. stderr is what it printed.
func (s Spec) EndOf(res keeper.Result, stderr string) error {
	return (&Command{spec: s}).verdict(res, stderr)
}

// WordsOf is what a program said of its end, ready to be put behind a sentence.
func WordsOf(stderr string) string { return lastWords(stderr) }

// PlainEnvironment is that of a program that is told of no slice, with a folder of its own as HOME.
func (s Spec) PlainEnvironment(home string) []string {
	return environment(s, Request{Dir: home}, []variable{{"TFPILOT_PAYLOAD_DIR", s.Dir}})
}
