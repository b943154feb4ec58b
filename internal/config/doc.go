// Package config turns the fields of a struct into options: each is declared once, in the struct, and has its flag, its
// environment variable, its TOML key, its default and its help from there.
//
//	type Config struct {
//		IdleTimeout time.Duration `toml:"idle_timeout" default:"2m" help:"leave after this long without a slice"`
//		Broker      struct {
//			Addr string `toml:"addr" help:"host:port of the broker"`
//		} `toml:"broker"`
//		Token string `toml:"token" secret:"true" help:"bearer token of idds"`
//	}
//
// gives --idle-timeout, TFPILOT_IDLE_TIMEOUT and idle_timeout = "2m"; a field of a nested struct has the table's name in
// front: --broker-addr, TFPILOT_BROKER_ADDR, [broker] addr. A secret has no flag, because argv is readable by everybody.
// Zero where there is a default is refused, unless the field is tagged zero:"true" because it means something of its own.
// A flag wins over the environment, which wins over the file, which wins over the default. Unknown keys of a file are
// errors that name the line.
//
// Field types: string, bool, int, int64, uint64, float64, [time.Duration], []string, and a kind of these that reads its own text
// ([encoding.TextUnmarshaler]), such as a number that may also be a word. A field without a toml tag, or with
// "-", is not an option; the fields of an embedded struct, and of one tagged ",inline", belong to the outer one.
package config
