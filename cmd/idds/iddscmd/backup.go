package iddscmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/idds/postgres"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/logging"
	"tfpilot/internal/program"
)

func backupCommand() *cli.Command {
	return copyCommand("backup", "write the whole ledger into a file, also while the service runs",
		"The file is a store of SQLite, whatever the ledger is kept in, and holds the ledger as it was when the backup began. It appears\n"+
			"when it is complete and was read back. The tokens are not in it: they are in STATE/tokens.toml.\n\n"+
			"Examples:\n"+
			"  idds backup --config /etc/tfpilot/idds.toml idds-2026-11-25.db\n"+
			"  idds backup --store postgres://idds@db.example.org/idds idds-2026-11-25.db",
		func(c *cli.Context, p place, file string) (source, target, func(error) error, error) {
			if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
				return nil, nil, nil, exitcode.New(exitcode.Usage, "%s is there already; a backup replaces none", file)
			}
			from, err := p.snapshot(c.Context)
			if err != nil {
				return nil, nil, nil, err
			}
			partial := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".partial")
			if err := os.WriteFile(partial, nil, 0o600); err != nil { // its mode, before there is anything in it
				return nil, nil, nil, errors.Join(exitcode.New(exitcode.StoreFailed, "writing the backup: %w", err), from.Close())
			}
			to, err := sqlite.OpenTarget(c.Context, partial)
			if err != nil {
				return nil, nil, nil, errors.Join(err, from.Close(), os.Remove(partial))
			}
			return from, to, func(err error) error {
				if err == nil {
					err = exitcode.Wrap(exitcode.StoreFailed, os.Rename(partial, file))
				}
				if err != nil {
					_ = os.Remove(partial)
				}
				return err
			}, nil
		})
}

func restoreCommand() *cli.Command {
	return copyCommand("restore", "fill an empty store from a backup",
		"A store that holds anything, or that a service works on, is refused: move the old state away first. All of the backup is\n"+
			"restored, and read back, or nothing. Backups of older programs are restored too, but those of schema 2 and before.\n\n"+
			"Examples:\n"+
			"  idds restore --state /var/lib/idds idds-2026-11-25.db\n"+
			"  idds restore --store postgres://idds@db.example.org/idds idds-2026-11-25.db",
		func(c *cli.Context, p place, file string) (source, target, func(error) error, error) {
			log, err := logging.New(c.App.ErrWriter, "idds", "info", "auto")
			if err != nil {
				return nil, nil, nil, err
			}
			from, err := sqlite.OpenBackup(c.Context, file, log)
			if err != nil {
				return nil, nil, nil, err
			}
			to, err := p.empty(c.Context)
			if err != nil {
				return nil, nil, nil, errors.Join(err, from.Close())
			}
			return from, to, func(err error) error { return err }, nil
		})
}

// copyCommand makes a command that copies a whole state between the store and a file. open opens both; end is told how it went.
func copyCommand(name, usage, description string, open func(c *cli.Context, p place, file string) (source, target, func(error) error, error)) *cli.Command {
	var cfg storeConfig
	bind := config.Bind(&cfg).Of(&serveConfig{})
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: "FILE", Description: description, Flags: append(bind.Flags(), program.OutputFlag()),
		Action: func(c *cli.Context) error {
			if err := bind.Load(c); err != nil {
				return err
			}
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "%s needs one file", name)
			}
			p, err := cfg.place(bind)
			if err != nil {
				return err
			}
			from, to, end, err := open(c, p, c.Args().First())
			if err != nil {
				return interrupted(c, err)
			}
			return copyState(c, from, to, end)
		},
	}
}

// migrateConfig is from where to where.
type migrateConfig struct {
	From     string `toml:"from" help:"state folder, or postgres://USER@HOST/DATABASE, of the store that there is"`
	FromFile string `toml:"from_file" help:"file with its address, password and all, which must not be readable by others"`
	To       string `toml:"to" help:"state folder or address of the store to be made"`
	ToFile   string `toml:"to_file" help:"file with its address"`
}

func migrateCommand() *cli.Command {
	var cfg migrateConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "migrate", Usage: "move the whole ledger from SQLite to PostgreSQL, or back",
		Description: "The service must not run. All is copied, and read back, or nothing; the store that it came from stays as it was. Move\n" +
			"tokens.toml yourself when the state folder becomes another.\n\n" +
			"Examples:\n" +
			"  idds migrate --from /var/lib/idds --to postgres://idds@db.example.org/idds\n" +
			"  idds migrate --from postgres://idds@db.example.org/idds --to /var/lib/idds",
		Flags:  append(bind.Flags(), program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			source, err := cfg.place(bind, "from", cfg.From, cfg.FromFile)
			if err != nil {
				return err
			}
			goal, err := cfg.place(bind, "to", cfg.To, cfg.ToFile)
			if err != nil {
				return err
			}
			from, err := source.exclusively(c.Context)
			if err != nil {
				return interrupted(c, err)
			}
			to, err := goal.empty(c.Context)
			if err != nil {
				return interrupted(c, errors.Join(err, from.Close()))
			}
			return copyState(c, from, to, func(err error) error { return err })
		},
	}
}

// place is one end of the way.
func (c migrateConfig) place(bind *config.Binding, key, text, file string) (place, error) {
	text, err := address(bind, key, text, file)
	switch {
	case err != nil:
		return place{}, err
	case text == "":
		return place{}, exitcode.New(exitcode.Usage, "migrate needs --%s: a state folder, or postgres://USER@HOST/DATABASE", key)
	case postgres.IsURL(text):
		return place{url: text}, nil
	default:
		return place{folder: text}, nil
	}
}

// copyState copies, says how far it is, and shows what was copied.
func copyState(c *cli.Context, from source, to target, end func(error) error) error {
	began, said := time.Now(), time.Now()
	totals, err := ledgersql.Copy(c.Context, from, to, func(table string, done, of int64) {
		if time.Since(said) >= time.Second {
			said = time.Now()
			fmt.Fprintf(c.App.ErrWriter, "%s: %d of %d rows\n", table, done, of)
		}
	})
	ferr := from.Close() // says nothing of the copy
	if err = end(errors.Join(exitcode.Wrap(exitcode.StoreFailed, err), to.Close())); err != nil {
		return interrupted(c, errors.Join(err, ferr))
	}
	t := program.Table{Header: []string{"TABLE", "ROWS", "SHA-256 OF BOTH"}}
	rows := int64(0)
	for _, total := range totals {
		rows += total.Rows
		t.Rows = append(t.Rows, []string{total.Table, strconv.FormatInt(total.Rows, 10), total.SHA256})
	}
	if err := program.Print(c, totals, t); err != nil {
		return err
	}
	if c.String("output") == "table" {
		fmt.Fprintf(c.App.Writer, "%d rows copied and read back in %s\n", rows, time.Since(began).Round(100*time.Millisecond))
	}
	return nil
}

// interrupted is an error that has its reason in a signal.
func interrupted(c *cli.Context, err error) error {
	if c.Err() != nil {
		return exitcode.New(exitcode.Interrupted, "nothing was changed: %w", context.Cause(c.Context))
	}
	return err
}
