package iddscmd

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"

	"tfpilot/idds/postgres"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/program"
)

// storeConfig is where the ledger is.
type storeConfig struct {
	State     string `toml:"state" default:"idds-state" help:"folder of the tokens, and of the store unless --store is given"`
	Store     string `toml:"store" help:"postgres://USER@HOST/DATABASE of a store that is no file; its password comes from PGPASSFILE, PGPASSWORD or --store-file"`
	StoreFile string `toml:"store_file" help:"file with that address, password and all, which must not be readable by others"`
}

// place is a store: a folder, or a database when there is an address.
type place struct{ folder, url string }

// place finds the store that is meant.
func (c storeConfig) place(bind *config.Binding) (place, error) {
	url, err := address(bind, "store", c.Store, c.StoreFile)
	if err == nil && url != "" && !postgres.IsURL(url) {
		err = exitcode.New(exitcode.Usage, "--store is an address such as postgres://idds@db.example.org/idds; a store that is a file is in the folder --state")
	}
	return place{c.State, url}, err
}

// address is a text that may be the address of a database, from an option or from the file that another one names. A password is
// taken only from where nobody else reads it: not from the command line, which every user of the machine sees.
func address(bind *config.Binding, key, text, file string) (string, error) {
	if file != "" {
		return program.ReadSecret(file)
	}
	for _, o := range bind.Options() {
		if o.Key == key && o.Origin != config.FromEnv && postgres.IsURL(text) && postgres.HasPassword(text) {
			return "", exitcode.New(exitcode.Usage, "--%s %s has a password in it, which others can read there; give it in the file of --%s-file, in %s or PGPASSWORD, or in PGPASSFILE (~/.pgpass)",
				o.Flag, postgres.Address(text), o.Flag, o.Env)
		}
	}
	return text, nil
}

func (p place) String() string {
	if p.url != "" {
		return postgres.Address(p.url)
	}
	return sqlite.File(p.folder)
}

// open opens the store for a service.
func (p place) open(ctx context.Context, log *slog.Logger) (ledger.Store, error) {
	if p.url != "" {
		return postgres.Open(ctx, p.url, log)
	}
	return sqlite.Open(ctx, p.folder, log)
}

func (p place) inspect(ctx context.Context) (*ledger.StoreFacts, error) {
	if p.url != "" {
		return postgres.Inspect(ctx, p.url)
	}
	return sqlite.Inspect(ctx, p.folder)
}

// source is a whole state to be read, target one to be written.
type source interface {
	ledgersql.Source
	io.Closer
}

type target interface {
	ledgersql.Target
	io.Closer
}

// exclusively opens the store to be moved away: nobody may write to it meanwhile.
func (p place) exclusively(ctx context.Context) (source, error) {
	if p.url != "" {
		return postgres.OpenSource(ctx, p.url, true)
	}
	if locked, err := program.FolderLocked(p.folder); err != nil || locked {
		return nil, inUse(p.folder, err)
	}
	return p.file(ctx)
}

// snapshot opens the store to be looked at while a service goes on.
func (p place) snapshot(ctx context.Context) (source, error) {
	if p.url != "" {
		return postgres.OpenSource(ctx, p.url, false)
	}
	return p.file(ctx)
}

// file is the one of the folder. Where there is none the ledger may be in a database: the folder has the tokens all the same.
func (p place) file(ctx context.Context) (source, error) {
	s, err := sqlite.OpenSource(ctx, sqlite.File(p.folder))
	if errors.Is(err, fs.ErrNotExist) {
		err = exitcode.WithNext(err, "check the folder; a ledger in PostgreSQL is named by --store, --store-file or --config, as idds serve has it")
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// empty opens the store, which must hold nothing, to take a whole state.
func (p place) empty(ctx context.Context) (target, error) {
	if p.url != "" {
		return postgres.OpenTarget(ctx, p.url)
	}
	unlock, err := program.LockFolder(p.folder)
	if err != nil {
		return nil, err
	}
	t, err := sqlite.OpenTarget(ctx, sqlite.File(p.folder))
	if err != nil {
		unlock()
		return nil, err
	}
	return locked{t, unlock}, nil
}

// locked is a file in a folder that is kept from others until it is closed.
type locked struct {
	*sqlite.Target

	unlock func()
}

func (l locked) Close() error {
	defer l.unlock()
	return l.Target.Close()
}

func inUse(folder string, err error) error {
	if err == nil {
		err = exitcode.Wrap(exitcode.StateLocked, errors.New("another process works on "+folder))
	}
	return exitcode.WithNext(err, "end the service first")
}
