package ledgersql

import (
	"context"
	"fmt"
	"log/slog"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
)

// Version is the present version of the tables, the same number in every database.
const Version = 8

// Schema are the steps of a database, each of which leads to its version from the one before.
type Schema []Step

// Step are statements that change the tables, or fill them anew.
type Step struct {
	Version int
	SQL     string
}

// From are the steps that a store of a version still needs, all for a new one (0). A store that a newer program has written is
// refused: this one would not understand it.
func (s Schema) From(version int) ([]Step, error) {
	first := s[0].Version
	switch {
	case version == 0:
		return s, nil
	case version > Version:
		return nil, exitcode.WithNext(exitcode.New(exitcode.StoreVersion, "it has schema %d, this program knows %d: a newer idds has written it", version, Version),
			"use that idds, or restore a backup of before into an empty store")
	case version < first:
		return nil, exitcode.WithNext(exitcode.New(exitcode.StoreVersion, "it has schema %d, older than any that was released", version), "start with an empty store")
	default:
		return s[version-first+1:], nil
	}
}

// Present refuses a store, if there is one (0), that is not brought to the present version yet.
func (s Schema) Present(version int) error {
	steps, err := s.From(version)
	if err == nil && version > 0 && len(steps) > 0 {
		err = exitcode.WithNext(fmt.Errorf("it has schema %d, this program works with %d: %w", version, Version, ledger.ErrOlderSchema),
			"have a backup of it by the programs of before, without which there is no way back to them; then start the service")
	}
	return err
}

// Due are the steps that are to be done now. The log hears of those that change what is there, for a large store takes its time.
func (s Schema) Due(ctx context.Context, version int, log *slog.Logger) ([]Step, error) {
	steps, err := s.From(version)
	if version > 0 && len(steps) > 0 {
		log.InfoContext(ctx, "the store is brought to a new schema; a large one takes a minute or more", slog.Int("from", version), slog.Int("to", Version))
	}
	return steps, err
}
