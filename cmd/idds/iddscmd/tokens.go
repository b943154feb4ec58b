package iddscmd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"tfpilot/internal/access"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
)

// tokenFile is tokens.toml: a list of tokens for each role.
type tokenFile struct {
	Pilot     []string `toml:"pilot"`
	Harvester []string `toml:"harvester"`
	Operator  []string `toml:"operator"`
	Viewer    []string `toml:"viewer"`
}

// loadTokens reads the tokens, making a file with one fresh token for each role when there is none.
func loadTokens(path string) (map[string]access.Role, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeTokens(path)
	}
	if err != nil {
		return nil, exitcode.New(exitcode.NoCredential, "reading the tokens: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, exitcode.New(exitcode.NoCredential, "%s is readable by others; chmod 600 it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, exitcode.New(exitcode.NoCredential, "reading the tokens: %w", err)
	}
	var f tokenFile
	if err := config.DecodeTOML(path, text, &f); err != nil {
		// The library's message may quote the line, and with it a token.
		return nil, exitcode.New(exitcode.NoCredential, "%s: not a list of tokens for each of pilot, harvester, operator, viewer", path)
	}
	return f.roles(path)
}

func (f tokenFile) roles(path string) (map[string]access.Role, error) {
	out := map[string]access.Role{}
	for role, tokens := range map[access.Role][]string{
		access.Pilot: f.Pilot, access.Harvester: f.Harvester, access.Operator: f.Operator, access.Viewer: f.Viewer,
	} {
		for _, token := range tokens {
			if len(token) < 16 || strings.ContainsAny(token, " \t\n") {
				return nil, exitcode.New(exitcode.NoCredential, "%s: a token of role %s is shorter than 16 characters or has blanks", path, role)
			}
			if _, twice := out[token]; twice {
				return nil, exitcode.New(exitcode.NoCredential, "%s: a token stands there twice", path)
			}
			out[token] = role
		}
	}
	return out, nil
}

// makeTokens makes the file, or reads the one that somebody else has made meanwhile: a token that was handed out stays one.
func makeTokens(path string) (map[string]access.Role, error) {
	f := tokenFile{Pilot: []string{rand.Text()}, Harvester: []string{rand.Text()}, Operator: []string{rand.Text()}, Viewer: []string{rand.Text()}}
	text, err := toml.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encoding the tokens: %w", err)
	}
	switch err := writeNew(path, text); {
	case errors.Is(err, fs.ErrExist):
		return loadTokens(path)
	case err != nil:
		return nil, exitcode.New(exitcode.StoreFailed, "writing the tokens: %w", err)
	}
	return f.roles(path)
}

// writeNew writes a file for its user alone, whole, and only where there is none.
func writeNew(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tokens-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
