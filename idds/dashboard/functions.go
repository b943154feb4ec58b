package dashboard

import (
	"fmt"
	"html/template"
	"time"
)

// functions are what templates may call.
func functions() template.FuncMap {
	return template.FuncMap{
		"seconds": func(x float64) string { return fmt.Sprintf("%.1f s", x) },
		"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05") },
	}
}
