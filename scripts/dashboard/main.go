// Program dashboard holds a dashboard's file against Grafana's own schema, strictly: it names what is unknown, of a wrong kind or missing.
// It is a module of its own, so that tfpilot does not depend on Grafana's library.
//
//	go run -C scripts/dashboard . ../../docs/monitoring/grafana/tfpilot.json
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run -C scripts/dashboard . FILE")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	plugins.RegisterDefaultPlugins()
	var d dashboard.Dashboard
	// Of what is wrong the library makes a list, which is an error with an empty text when there is nothing.
	if err := d.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		return fmt.Errorf("%s:\n%w", file, err)
	}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%s:\n%w", file, err)
	}
	fmt.Printf("%s: %d panels as Grafana's schema has them\n", file, len(d.Panels))
	return nil
}
