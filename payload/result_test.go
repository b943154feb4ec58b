package payload_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
)

var update = flag.Bool("update", false, "write docs/schema")

// validator is what a reader of the published schema has.
func validator(tb testing.TB, schema []byte) *jsonschema.Schema {
	tb.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		tb.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		tb.Fatal(err)
	}
	result, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload.Schemas()["result.json"]))
	if err == nil {
		err = c.AddResource("urn:tfpilot:payload:1:result", result) // which others refer to
	}
	if err != nil {
		tb.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// fits says whether a document is JSON that the schema accepts.
func fits(s *jsonschema.Schema, text string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

const goodHistogram = `{"name":"pt","title":"track pT","unit":"GeV","log_y":true,"nbins":4,"low":0,"high":2,"counts":[5,3,1,0],` +
	`"underflow":0,"overflow":2,"nan":0,"entries":11,"sum_w":9,"sum_wx":4.75,"sum_wx2":3.5}`

// good are results, bad are none and no schema takes them for one; of beyond the schema cannot say what is wrong.
var (
	good = []string{
		`{}`, ` {"counts":{}} `, `{"counts":{"events":7,"β decays":0,"most":9223372036854775807}}`,
		`{"histograms":[` + goodHistogram + `]}`, `{"histograms":[{"name":"x","nbins":1,"low":-1.5e3,"high":1e300,"counts":[0.0]}]}`,
		`{"outputs":[{"name":"sub/tracks.root"},{"name":"a..b"},{"name":"..."}]}`, `{"outputs":[{"name":"x","size_bytes":1,"adler32":"?"}]}`,
		`{"warnings":["odd",""]}`, `{"req_id":"r1"}`, `{"failure":{"name":"data_corrupt","message":"frame 7"},"counts":{"frames":6}}`,
		`{"counts":{` + list(256, `"c%d":1`) + `}}`, `{"warnings":[` + list(100, `"%d"`) + `]}`, `{"outputs":[` + list(256, `{"name":"o%d"}`) + `]}`,
		`{"counts":{"` + strings.Repeat("n", 128) + `":1}}`, `{"warnings":["` + strings.Repeat("w", 1000) + `"]}`,
	}
	bad = []string{
		``, `[]`, `null`, `7`, `{"counts":{"events":7}`, `{} {}`, "{}\f", "\u00a0{}", `{"cuonts":{}}`, `{"Counts":{}}`, `{"counts":null}`, `{"counts":{"x":null}}`,
		`{"counts":{"events":7.5}}`, `{"counts":{"events":NaN}}`, `{"counts":{"events":-1}}`, `{"counts":{"":1}}`, `{"counts":{"a\nb":1}}`,
		`{"counts":{"most":9223372036854775808}}`, `{"counts":{` + list(257, `"c%d":1`) + `}}`, `{"counts":{"` + strings.Repeat("n", 129) + `":1}}`,
		`{"warnings":"odd"}`, `{"warnings":[` + list(101, `"%d"`) + `]}`, `{"warnings":["` + strings.Repeat("w", 1001) + `"]}`,
		`{"outputs":[` + list(257, `{"name":"o%d"}`) + `]}`, `{"outputs":["x"]}`, `{"outputs":[{}]}`, `{"outputs":[{"name":""}]}`, `{"outputs":[{"NAME":"x"}]}`,
		`{"outputs":[{"name":"/etc/passwd"}]}`, `{"outputs":[{"name":"../x"}]}`, `{"outputs":[{"name":"a/../b"}]}`, `{"outputs":[{"name":"a\u0000"}]}`,
		`{"histograms":[{"bins":1}]}`, `{"histograms":[` + strings.Replace(goodHistogram, "nbins", "NBins", 1) + `]}`,
		`{"histograms":[{"name":"x","nbins":0,"low":0,"high":1,"counts":[]}]}`, `{"histograms":[{"name":"x","nbins":1,"low":0,"high":1,"counts":[-1]}]}`,
		`{"histograms":[{"name":"x","nbins":1,"low":0,"high":1,"counts":[0.5],"entries":0.5,"sum_w":0.5}]}`, `{"histograms":{}}`,
		`{"histograms":[` + strings.Replace(goodHistogram, `"unit":"GeV"`, `"unit":null`, 1) + `]}`,
		`{"failure":{}}`, `{"failure":{"name":"data_corupt"}}`, `{"failure":{"name":"no_broker"}}`, `{"failure":{"name":"data_corrupt","why":""}}`, `{"failure":"data_corrupt"}`,
		`{"req_id":7}`,
	}
	beyond = []string{
		`{"counts":{"events":1.0}}`, `{"counts":{"` + strings.Repeat("ä", 65) + `":1}}`, `{"counts":{"zero\u200bwidth":1}}`,
		`{"histograms":[` + goodHistogram + `,` + goodHistogram + `]}`, `{"histograms":[` + strings.Replace(goodHistogram, `"entries":11`, `"entries":12`, 1) + `]}`,
		`{"histograms":[{"name":"x","nbins":2,"low":0,"high":1,"counts":[0]}]}`, `{"histograms":[{"name":"x","nbins":1,"low":1,"high":1,"counts":[0]}]}`,
		`{"outputs":[{"name":"x"},{"name":"x"}]}`,
	}
)

func list(n int, format string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(items, ",")
}

func TestTheSchemaAndTheProgramAgreeOnWhatAResultIs(t *testing.T) {
	t.Parallel()
	schema := validator(t, payload.Schemas()["result.json"])
	for _, c := range []struct {
		texts           []string
		schema, program bool
	}{{good, true, true}, {bad, false, false}, {beyond, true, false}} {
		for _, text := range c.texts {
			if err := fits(schema, text); (err == nil) != c.schema {
				t.Errorf("the schema on %.120s: %v", text, err)
			}
			if _, err := payload.DecodeResult([]byte(text)); (err == nil) != c.program {
				t.Errorf("the program on %.120s: %v", text, err)
			}
		}
	}
	for _, name := range payloadfile.FailureNames() {
		if err := fits(schema, `{"failure":{"name":"`+name+`"}}`); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever the program accepts, a reader that goes by the schema accepts.
func FuzzWhatIsAResultFitsTheSchema(f *testing.F) {
	for _, text := range append(append(append([]string{}, good...), bad...), beyond...) {
		f.Add([]byte(text))
	}
	schema := validator(f, payload.Schemas()["result.json"])
	f.Fuzz(func(t *testing.T, text []byte) {
		result, err := payload.DecodeResult(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(result)
		if err != nil {
			t.Fatal(err)
		}
		if err := fits(schema, string(again)); err != nil {
			t.Errorf("%s: %v", again, err)
		}
		// As it was written too, unless a number is no whole one by so little that no program can tell.
		if err := fits(schema, string(text)); err != nil && !bytes.ContainsAny(text, ".eE") {
			t.Errorf("%s: %v", text, err)
		}
	})
}

// TestDocument writes docs/schema with -update, and compares it otherwise.
func TestDocument(t *testing.T) {
	t.Parallel()
	for name, schema := range payload.Schemas() {
		file := filepath.Join("..", "docs", "schema", name)
		if *update {
			if err := os.WriteFile(file, schema, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, schema) {
			t.Errorf("%s is not what the program has; run make generate (%v)", file, err)
		}
	}
}

func TestTheSchemasOfResidentPayloadsSayWhatTheProgramsDo(t *testing.T) {
	t.Parallel()
	schemas := payload.Schemas()
	request, reply := validator(t, schemas["request.json"]), validator(t, schemas["reply.json"])
	for text, ok := range map[string]bool{
		`{"req_id":"r1","input":"/d/x.stf","first":0,"last":65,"dir":"/w/s","run_id":"7","attempt":1,"namespace":"","tf_filename":"","slice":{"msg_type":"slice"}}`: true,
		`{"req_id":"r1","input":"/d/x.stf","first":0,"last":65,"dir":"/w/s","run_id":"7","attempt":1,"namespace":"","tf_filename":"","slice":{},"later":1}`:         true,
		`{"req_id":"r1","input":"/d/x.stf","first":"0","last":65,"dir":"/w/s"}`:                                                                                     false,
		`{"input":"/d/x.stf"}`: false,
	} {
		if err := fits(request, text); (err == nil) != ok {
			t.Errorf("request %s: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{
		`{"ready":true,"seconds":1.5}`: true, `{"ready":false,"status":30,"message":"no room"}`: true, `{"alive":true}`: true, `{"alive":true,"progress":0.5}`: true,
		`{"req_id":"r1","status":0,"result":{"counts":{"events":1}},"seconds":0.1}`: true, `{"req_id":"r1","status":21,"message":"frame 7"}`: true,
		`{"req_id":"r1","status":1,"failure":{"name":"data_corrupt"}}`: true,
		`{"req_id":"r1","status":0,"result":{"cuonts":{}}}`:            false, `{"req_id":"r1","status":0}`: false, `{"status":0,"result":{}}`: false,
		`{"req_id":"r1","status":1,"failure":{"name":"no_broker"}}`: false, `{}`: false, `{"req_id":"r1"}`: false, `[]`: false,
	} {
		if err := fits(reply, text); (err == nil) != ok {
			t.Errorf("reply %s: %v", text, err)
		}
	}
}
