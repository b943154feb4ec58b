package dashboard

import "html/template"

// Functions are what templates may call.
func Functions() template.FuncMap { return functions() }
