package container

import (
	"errors"
	"fmt"
	"strings"
)

// site is what container_options of a queue ask for. They are written for Apptainer.
type site struct {
	binds   []Bind
	gpu     string
	options []string // what is not understood here, for Apptainer and Singularity
}

// parseSite reads them as the PanDA pilot's queues have them: words between spaces, '...' and "..." holding one together. Nothing
// else of a shell means anything.
func parseSite(text string) (site, error) {
	words, err := split(text)
	if err != nil {
		return site{}, err
	}
	var s site
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		value, given := "", false
		switch {
		case word == "-B" || word == "--bind":
			if len(words) == 0 {
				return site{}, fmt.Errorf("%s: names nothing to bind", word)
			}
			value, given, words = words[0], true, words[1:]
		case strings.HasPrefix(word, "--bind="):
			value, given = strings.TrimPrefix(word, "--bind="), true
		case strings.HasPrefix(word, "-B"):
			value, given = strings.TrimPrefix(strings.TrimPrefix(word, "-B"), "="), true
		}
		switch {
		case given:
			for bind := range strings.SplitSeq(value, ",") {
				b, err := ParseBind(bind)
				if err != nil {
					return site{}, err
				}
				s.binds = append(s.binds, b)
			}
		case word == "--nv":
			s.gpu = gpuNvidia
		case word == "--rocm":
			s.gpu = gpuAMD
		default:
			s.options = append(s.options, word)
		}
	}
	return s, nil
}

func split(text string) (words []string, err error) {
	var word strings.Builder
	var quote rune
	begun := false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote that does not end: " + text)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
