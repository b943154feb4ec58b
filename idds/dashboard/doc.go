// Package dashboard is the control-room page: what a shifter wants at a glance, live, and a page for each thing behind it. It is
// rendered by the server and complete without a script; a small script keeps it fresh by the events of /v1/events.
//
// A page is a template in templates/NAME.html, which defines "content", and a handler in a file of its own that ends in
// [Pages.render] with what the template shows. The handler gets its line in [Pages.Handlers], and its place in the navigation in
// sections. What the template sees is a [page]: its own data are .Data, and every link is made by .Link, which encodes what stands in
// it and stays in the namespace that is looked at. Numbers and times are written by the functions of functions.go, so that a
// number is written alike everywhere; a state is a {{badge}}, which has a shape beside its colour. A page that follows what happens
// says so by the field Refresh of the [page]: then the script asks for it again as often and puts what has changed into its place.
//
// Foreign text (names of runs, payloads, workers, messages of failures) is escaped by html/template here and set as text by the
// script; the Content-Security-Policy lets no other script run, nor a style within the page.
package dashboard
