package ledgersql

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// places are $1, $2 and so on.
func places(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("$%d", i+1)
	}
	return out
}

// keyed is the condition that names one row.
func keyed(k ledger.Kind) string {
	return fmt.Sprintf(" WHERE (%s) = (%s)", strings.Join(k.Key, ", "), strings.Join(places(len(k.Key)), ", "))
}

// ReadDocument is the statement that reads a document of a kind by its key.
func ReadDocument(k ledger.Kind) string { return "SELECT doc FROM " + k.Table + keyed(k) }

// WriteDocument is the one that writes it; the document comes after its key.
func WriteDocument(k ledger.Kind) string {
	key := strings.Join(k.Key, ", ")
	return fmt.Sprintf("INSERT INTO %s (%s, doc) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET doc = excluded.doc",
		k.Table, key, strings.Join(places(len(k.Key)+1), ", "), key)
}

// DropDocument is the one that drops it.
func DropDocument(k ledger.Kind) string { return "DELETE FROM " + k.Table + keyed(k) }

// Arguments are a key, and what comes after it, for a statement.
func Arguments(key []string, more ...any) []any {
	out := make([]any, 0, len(key)+len(more))
	for _, part := range key {
		out = append(out, part)
	}
	return append(out, more...)
}

// Detector is what the data side says of a run, nil when it has said nothing.
func (r Reader) Detector(ctx context.Context, namespace, run string) (*document.Detector, error) {
	list, err := collect(ctx, r, scanDocument[document.Detector], ReadDocument(ledger.Detectors), ledger.Text(namespace), ledger.Text(run))
	if len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// Components are the programs of a namespace, of all when it is empty.
func (r Reader) Components(ctx context.Context, namespace string) ([]document.Component, error) {
	return collect(ctx, r, scanDocument[document.Component],
		"SELECT doc FROM component WHERE $1 IN ('', namespace) ORDER BY namespace, name", ledger.Text(namespace))
}

// TFFiles are time-frame files of a run.
func (r Reader) TFFiles(ctx context.Context, f ledger.TFFilter) ([]document.TFFile, error) {
	var c clauses
	c.add("namespace = %s", ledger.Text(f.Namespace))
	c.add("run = %s", ledger.Text(f.Run))
	c.equal("stf", f.STF)
	c.after("stf, name", f.AfterSTF, f.AfterName)
	return collect(ctx, r, scanDocument[document.TFFile], "SELECT doc FROM tf "+c.where()+" ORDER BY stf, name"+c.limit(f.Limit), c.args...)
}

// announced are the STF files of a run after one, or before it, as the data side knows them.
func (r Reader) announced(ctx context.Context, after ledger.Key, descending bool, limit int) ([]ledger.File, error) {
	compare, order := ">", "name"
	if descending {
		compare, order = "<", "name DESC"
	}
	return collect(ctx, r, func(rows *sql.Rows) (ledger.File, error) {
		var doc []byte
		f := ledger.File{Key: ledger.Key{Namespace: after.Namespace, Run: after.Run}, Announced: &ledger.Announced{}}
		if err := rows.Scan(&f.Identity, &doc, &f.TFFiles); err != nil {
			return f, err
		}
		return f, json.Unmarshal(doc, f.Announced)
	}, `SELECT name, doc, (SELECT count(*) FROM tf WHERE tf.namespace = stf.namespace AND tf.run = stf.run AND tf.stf = stf.name)
		FROM stf WHERE namespace = $1 AND run = $2 AND name `+compare+` $3 ORDER BY `+order+` LIMIT $4`,
		after.Namespace, after.Run, after.Identity, limit)
}

// merge puts together what slices and what the data side know of the files of a run; both lists are in the same order.
func merge(sliced, announced []ledger.File, descending bool, limit int) []ledger.File {
	out := make([]ledger.File, 0, min(limit, len(sliced)+len(announced)))
	for len(out) < limit && len(sliced)+len(announced) > 0 {
		var order int
		switch {
		case len(announced) == 0:
			order = -1
		case len(sliced) == 0:
			order = 1
		default:
			order = cmp.Compare(sliced[0].Identity, announced[0].Identity)
			if descending {
				order = -order
			}
		}
		switch {
		case order < 0:
			out, sliced = append(out, sliced[0]), sliced[1:]
		case order > 0:
			out, announced = append(out, announced[0]), announced[1:]
		default:
			f := sliced[0]
			f.Announced, f.TFFiles = announced[0].Announced, announced[0].TFFiles
			out, sliced, announced = append(out, f), sliced[1:], announced[1:]
		}
	}
	return out
}
