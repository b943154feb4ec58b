package ledgersql

import (
	"fmt"
	"strings"
)

// Kind is what a column holds.
type Kind int

// The kinds.
const (
	Text Kind = iota
	Int
	Bool
	Bytes // what is not ours, and need be no text
)

// Column is a column of a table.
type Column struct {
	Name string
	Kind Kind
}

// Table is a table with all its columns, and those that put its rows into an order that is the same in every database.
type Table struct {
	Name    string
	Columns []Column
	Order   string
}

// Tables are all that is in a store.
func Tables() []Table {
	text := func(names ...string) []Column {
		out := make([]Column, len(names))
		for i, name := range names {
			out[i].Name = name
		}
		return out
	}
	return []Table{
		{"name", text("name"), "name"},
		{"run", append(text("namespace", "run", "state", "doc"), Column{"open", Bool}), "namespace, run"},
		{"slice", append(text("namespace", "run", "identity", "state", "filename", "pilot", "class", "failure", "doc"), Column{"id", Int}, Column{"created", Int}, Column{"stf", Int},
			Column{"finished", Int}, Column{"due", Int}, Column{"message", Bytes}), "id"},
		{"request", append(text("namespace", "run", "identity"), Column{"created_at", Int}), "namespace, run, created_at, identity"},
		{"histogram", text("namespace", "run", "doc"), "namespace, run"},
		{"worker", append(text("pilot", "namespace", "worker", "doc"), Column{"seen", Int}), "namespace, pilot"},
		{"actor", text("namespace", "duty", "sender", "doc"), "namespace, duty, sender"},
		{"token", text("id", "hash", "doc"), "id"},
		{"detector", text("namespace", "run", "doc"), "namespace, run"},
		{"stf", text("namespace", "run", "name", "doc"), "namespace, run, name"},
		{"tf", text("namespace", "run", "stf", "name", "doc"), "namespace, run, stf, name"},
		{"component", text("namespace", "name", "doc"), "namespace, name"},
		{"audit", append(text("namespace", "doc"), Column{"id", Int}, Column{"at", Int}), "id"},
		{"task", append(text("namespace", "run", "scope", "name", "doc"), Column{"id", Int}, Column{"request", Int}), "id"},
		{"task_message", append(text("namespace", "doc"), Column{"id", Int}, Column{"request", Int}), "id"},
	}
}

// TablesOfRun are those of what a run is in the ledger.
func TablesOfRun() []string { return []string{"request", "histogram", "slice", "run"} }

// Names are the names of the columns.
func (t Table) Names() []string {
	out := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = c.Name
	}
	return out
}

// Select reads the whole table in its order.
func (t Table) Select() string {
	return fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", strings.Join(t.Names(), ", "), t.Name, t.Order)
}

// Insert writes a row.
func (t Table) Insert() string {
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", t.Name, strings.Join(t.Names(), ", "), strings.Join(places(len(t.Columns)), ", "))
}
