package ledgersql

import (
	"cmp"
	"fmt"
	"strings"

	"tfpilot/internal/ledger"
)

// clauses are the conditions of a query with their arguments.
type clauses struct {
	text []string
	args []any
}

// arg adds an argument and says how it is called.
func (c *clauses) arg(value any) string {
	c.args = append(c.args, value)
	return fmt.Sprintf("$%d", len(c.args))
}

// add adds a condition, in which %s stands for the argument.
func (c *clauses) add(condition string, arg any) {
	c.text = append(c.text, fmt.Sprintf(condition, c.arg(arg)))
}

// equal adds a condition on a column, unless any value will do.
func (c *clauses) equal(column, value string) {
	if value != "" {
		c.add(column+" = %s", ledger.Text(value))
	}
}

// oneOf adds the condition that something is in one of some states, unless any will do.
func oneOf[S ~string](c *clauses, states []S) {
	if len(states) == 0 {
		return
	}
	names := make([]string, len(states))
	for i, state := range states {
		names[i] = c.arg(string(state))
	}
	c.text = append(c.text, "state IN ("+strings.Join(names, ", ")+")")
}

// after adds the condition that columns, separated by commas, come after texts.
func (c *clauses) after(columns string, values ...string) {
	texts := make([]any, len(values))
	for i, v := range values {
		texts[i] = ledger.Text(v)
	}
	c.beside(columns, ">", texts)
}

// beside adds the condition that columns, separated by commas, come after values, or before them.
func (c *clauses) beside(columns, where string, values []any) {
	places := make([]string, len(values))
	for i, v := range values {
		places[i] = c.arg(v)
	}
	c.text = append(c.text, fmt.Sprintf("(%s) %s (%s)", columns, where, strings.Join(places, ", ")))
}

func (c *clauses) where() string {
	if len(c.text) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(c.text, " AND ")
}

// limit bounds the answer, and comes last.
func (c *clauses) limit(n int) string { return " LIMIT " + c.arg(cmp.Or(n, ledger.PageSize)) }
