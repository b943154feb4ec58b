package testbed

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

//go:embed report.html.tmpl
var pageText string

// page is the report as one HTML file that needs nothing else.
func (r Report) page() ([]byte, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"latency": func(n int, x float64) string {
			if n == 0 {
				return "–"
			}
			return fmt.Sprintf("%.2f s", x)
		},
		"seconds": func(x float64) string { return fmt.Sprintf("%.2f s", x) },
		"percent": func(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) },
	}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("parsing the report's template: %w", err)
	}
	data := struct {
		Report
		Pictures []template.HTML
		Further  map[string]int64
		OK       bool
	}{Report: r, Further: r.further(), OK: r.Verdict() == nil}
	for i := range r.Histograms {
		// The SVG is made by internal/hist, which escapes the texts in it.
		data.Pictures = append(data.Pictures, template.HTML(r.Histograms[i].SVG(520, 320)))
	}
	var buf bytes.Buffer
	if err := t.Execute(&buf, data); err != nil {
		return nil, fmt.Errorf("filling the report's template: %w", err)
	}
	return buf.Bytes(), nil
}
