package payloadfile

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tfpilot/internal/exitcode"
)

// sayable are the failures that a payload may give as its own, by exit status or by name: of itself, of its data, of a full
// disk, and of storage that it reads by itself. Everything else in the table is about us.
var sayable = []exitcode.Failure{
	exitcode.PayloadFailed, exitcode.PayloadPermanent, exitcode.PayloadCrashed, exitcode.PayloadTimeout, exitcode.PayloadNoResult,
	exitcode.PayloadBadResult, exitcode.PayloadLimit, exitcode.PayloadMemory,
	exitcode.DataMissing, exitcode.DataCorrupt, exitcode.DataRange, exitcode.DataInvalid, exitcode.DataUnreachable, exitcode.SiteNoSpace,
	exitcode.NoCredential,
}

// FailureNames are the names that a payload may say.
func FailureNames() []string {
	names := make([]string, len(sayable))
	for i, f := range sayable {
		names[i] = f.Name
	}
	return names
}

// FailureNamed finds a failure that a payload may say.
func FailureNamed(name string) (exitcode.Failure, error) {
	i := slices.IndexFunc(sayable, func(f exitcode.Failure) bool { return f.Name == name })
	if i < 0 {
		return exitcode.Failure{}, fmt.Errorf("%.40q is none of %s", name, strings.Join(FailureNames(), ", "))
	}
	return sayable[i], nil
}

// failureOf is the meaning of an exit status under the contract: half of all programs end with 1 or 2 without a thought of us.
func failureOf(status int) exitcode.Failure {
	i := slices.IndexFunc(sayable, func(f exitcode.Failure) bool { return f.Code == status })
	if i < 0 {
		return exitcode.PayloadFailed
	}
	return sayable[i]
}

// Failures say what the ends of a program mean that does not know the contract.
type Failures struct {
	// Status gives exit statuses, "1" to "255", the name of a failure.
	Status map[string]string `toml:"status"`
	// Stderr are looked at before Status, in order; the first that matches counts.
	Stderr []StderrRule `toml:"stderr"`
}

// StderrRule gives a text on stderr the name of a failure.
type StderrRule struct {
	// Match is a regular expression of Go (RE2), for a part of the text.
	Match string `toml:"match"`
	As    string `toml:"as"`
}

// Meaning is the failure of a program that ended by itself: by what it printed, by its status, by the contract.
func (f Failures) Meaning(status int, stderr string) exitcode.Failure {
	if line, ok := f.Printed(stderr); ok {
		return line
	}
	if line, err := FailureNamed(f.Status[strconv.Itoa(status)]); err == nil {
		return line
	}
	return failureOf(status)
}

// Printed is the failure that a text on stderr stands for, if it is one of [[failures.stderr]].
func (f Failures) Printed(stderr string) (exitcode.Failure, bool) {
	for _, rule := range f.Stderr {
		// Compiled only here: a slice that is done has no use for it.
		if re, err := regexp.Compile(rule.Match); err == nil && re.MatchString(stderr) {
			line, err := FailureNamed(rule.As)
			return line, err == nil
		}
	}
	return exitcode.Failure{}, false
}

// validate names every contradiction. An error begins with its key.
func (f Failures) validate() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(f.Status)) {
		if n, err := strconv.Atoi(key); err != nil || n < 1 || n > 255 || strconv.Itoa(n) != key {
			errs = append(errs, keyError{"failures.status." + key, errors.New("not an exit status that a failure can have: write 1 to 255")})
		}
		if _, err := FailureNamed(f.Status[key]); err != nil {
			errs = append(errs, keyError{"failures.status." + key, err})
		}
	}
	seen := map[string]string{}
	for i, rule := range f.Stderr {
		at := func(format string, args ...any) {
			errs = append(errs, keyError{fmt.Sprintf("failures.stderr[%d]", i), fmt.Errorf(format, args...)})
		}
		re, err := regexp.Compile(rule.Match)
		switch as, twice := seen[rule.Match]; {
		case rule.Match == "":
			at("match is missing: what is to be looked for on stderr")
		case err != nil:
			at("match: %w", err)
		case re.MatchString(""):
			at("match = %q fits every program, also one that prints nothing", rule.Match)
		case twice:
			at("match = %q is there already, as %s", rule.Match, as)
		}
		seen[rule.Match] = rule.As
		if _, err := FailureNamed(rule.As); err != nil {
			at("as: %w", err)
		}
	}
	return errors.Join(errs...)
}
