package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"text/tabwriter"

	"github.com/pelletier/go-toml/v2"
	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
)

// fileFlag names the TOML file; its variable is TFPILOT_CONFIG.
const fileFlag = "config"

// Binding ties a struct to the command line, the environment and a file.
type Binding struct {
	target any
	opts   []*Option
	// file has the keys that there may be in the file.
	file reflect.Type
}

// Bind declares the options of the struct that target points to, with their defaults set. It panics when the struct has a
// field of an unsupported type or a default that does not parse.
func Bind(target any) *Binding {
	opts, err := options(target)
	if err != nil {
		panic(err)
	}
	Defaults(target)
	return &Binding{target: target, opts: opts, file: reflect.TypeOf(target).Elem()}
}

// Of has the file be that of a larger command, of which this one takes what it needs: whole points to the options of that one.
func (b *Binding) Of(whole any) *Binding {
	b.file = reflect.TypeOf(whole).Elem()
	return b
}

// Flags are the flags of all options that are not secret, and --config.
func (b *Binding) Flags() []cli.Flag {
	flags := []cli.Flag{&cli.StringFlag{Name: fileFlag, Usage: "read options from this TOML `FILE` [$TFPILOT_CONFIG]"}}
	for _, o := range b.opts {
		if o.Secret {
			continue
		}
		usage := o.Help + " [$" + o.Env + "]"
		switch {
		case o.field.Kind() == reflect.Bool:
			flags = append(flags, &cli.BoolFlag{Name: o.Flag, Usage: usage, Value: o.field.Bool()})
		default:
			// All others are text here and parsed by set, so that file, variable and flag say the same about a mistake.
			flags = append(flags, &cli.StringFlag{Name: o.Flag, Usage: usage, DefaultText: o.defaultText()})
		}
	}
	return flags
}

func (o *Option) defaultText() string {
	if o.Default == "" {
		return "none"
	}
	return o.Default
}

// Load fills the struct: file, then environment, then flags. All mistakes are reported together, as [exitcode.Usage].
func (b *Binding) Load(c *cli.Context) error {
	return b.load(c.String(fileFlag), func(o *Option) (string, bool) {
		if o.Secret || !c.IsSet(o.Flag) {
			return "", false
		}
		return fmt.Sprint(c.Value(o.Flag)), true
	})
}

// LoadEnv is Load for a program without flags of ours: file (TFPILOT_CONFIG), then environment.
func (b *Binding) LoadEnv() error {
	return b.load("", func(*Option) (string, bool) { return "", false })
}

func (b *Binding) load(file string, flag func(*Option) (text string, isSet bool)) error {
	if file == "" {
		file = os.Getenv("TFPILOT_CONFIG")
	}
	var errs []error
	if file != "" {
		errs = append(errs, b.loadFile(file))
	}
	for _, o := range b.opts {
		if text := os.Getenv(o.Env); text != "" { // an empty one is as good as none: it is how shells and batch files unset
			errs = append(errs, o.from(FromEnv, o.Env, text))
		}
		if text, isSet := flag(o); isSet {
			errs = append(errs, o.from(FromFlag, "--"+o.Flag, text))
		}
	}
	return exitcode.Wrap(exitcode.Usage, errors.Join(errs...))
}

func (o *Option) from(origin Origin, where, text string) error {
	err := o.set(text)
	if err == nil {
		err = o.plausible()
	}
	o.Origin, o.Where = origin, where
	if origin == FromFile {
		where = o.Key // whoever knows the text of the file adds name and line
	}
	if err != nil && o.Secret {
		return fmt.Errorf("%s: value does not parse", where)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// loadFile reads the whole file strictly. Durations are texts in TOML, so the file is decoded into a map of options first
// and each value goes through set.
func (b *Binding) loadFile(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	return b.LoadTOML(file, text)
}

// LoadTOML fills the struct from the text of a file; name is for messages.
func (b *Binding) LoadTOML(name string, text []byte) error {
	strict := reflect.New(shape(b.file))
	if err := DecodeTOML(name, text, strict.Interface()); err != nil {
		return err
	}
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var errs []error
	for _, o := range b.opts {
		v, ok := lookup(tree, o.Key)
		if !ok {
			continue
		}
		if list, isList := v.([]any); isList {
			o.setList(list)
			o.Origin, o.Where = FromFile, name
			continue
		}
		if err := o.from(FromFile, name, fmt.Sprint(v)); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, LineOf(text, o.Key), err))
		}
	}
	return errors.Join(errs...)
}

// Options are all options with their present values and origins, in the order of the struct.
func (b *Binding) Options() []*Option { return b.opts }

// Show prints every option with its value and origin: a table, or JSON when format is "json".
func (b *Binding) Show(w io.Writer, format string) error {
	if format == "json" {
		type row struct {
			Key    string `json:"key"`
			Value  string `json:"value"`
			Origin Origin `json:"origin"`
			Where  string `json:"where,omitempty"`
			Env    string `json:"env"`
		}
		rows := make([]row, len(b.opts))
		for i, o := range b.opts {
			rows[i] = row{o.Key, o.Value(), o.Origin, o.Where, o.Env}
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if _, err := fmt.Fprintln(tw, "OPTION\tVALUE\tORIGIN\tMEANING"); err != nil {
		return err
	}
	for _, o := range b.opts {
		origin := string(o.Origin)
		if o.Where != "" {
			origin += " " + o.Where
		}
		if _, err := fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", o.Key, o.Value(), origin, o.Help); err != nil {
			return err
		}
	}
	return tw.Flush()
}
