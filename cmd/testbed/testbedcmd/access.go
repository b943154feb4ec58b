package testbedcmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// access is who may speak with the broker, and how.
type access struct {
	Users   string `toml:"users" help:"TOML file with who may come in, as login = \"passcode\"; everybody when empty"`
	TLSCert string `toml:"tls_cert" help:"certificate of the broker and those that signed it (PEM); without it no TLS is spoken"`
	TLSKey  string `toml:"tls_key" help:"key of the certificate (PEM)"`
}

// users reads the file of logins. Nothing of its text is quoted in an error but logins.
func (a access) users() (map[string]string, error) {
	if a.Users == "" {
		return nil, nil //nolint:nilnil // what stompd.Config takes for everybody
	}
	text, err := program.ReadPrivate(a.Users)
	if err != nil {
		return nil, err
	}
	var entries map[string]any
	if err := config.DecodeTOML(a.Users, text, &entries); err != nil {
		return nil, err
	}
	users := map[string]string{}
	var errs []error
	for login, value := range entries {
		passcode, isText := value.(string)
		switch {
		case login == "":
			errs = append(errs, errors.New("a login is empty"))
		case !isText:
			errs = append(errs, fmt.Errorf("%q has no passcode in quotes", login))
		case passcode == "":
			errs = append(errs, fmt.Errorf("%q has an empty passcode", login))
		}
		users[login] = passcode
	}
	if len(entries) == 0 {
		errs = append(errs, errors.New("nobody is in it, so nobody could come in"))
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return nil, exitcode.New(exitcode.BadConfig, "%s: %w", a.Users, errors.Join(errs...))
	}
	return users, nil
}
