package hist

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Colours and sizes of the picture. Text and axes take the colour of the page around them, the area is a blue that reads on
// white and on black, and the background stays open: one picture for light and dark pages.
const (
	svgArea     = "#4b8bd4"
	svgFont     = "ui-sans-serif,system-ui,sans-serif"
	svgMinWidth = 160
	svgMinLines = 120
	svgLeft     = 46
	svgRight    = 12
	svgTop      = 26
	svgBottom   = 38
)

// SVG draws the histogram as one self-contained <svg> element of w x h pixels, to be put into a page or a file.
func (h *H1) SVG(w, height int) string {
	w, height = max(w, svgMinWidth), max(height, svgMinLines)
	p := plot{
		h: h, axis: newCountAxis(h.highest(), h.LogY, max(2, (height-svgTop-svgBottom)/32)),
		left: svgLeft, right: float64(w - svgRight), top: svgTop, bottom: float64(height - svgBottom),
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="%s" font-size="11" fill="currentColor">`,
		w, height, w, height, svgFont)
	fmt.Fprintf(&b, "\n<title>%s</title>\n<desc>%s</desc>\n", escape(h.axisTitle()), escape(h.summary()))
	p.countAxis(&b)
	p.area(&b)
	p.valueAxis(&b, w)
	fmt.Fprintf(&b, `<text x="%s" y="14" text-anchor="end" font-size="10" opacity="0.7">%s</text>`+"\n", px(p.right), escape(h.summary()))
	b.WriteString("</svg>\n")
	return b.String()
}

// plot is the frame inside the margins.
type plot struct {
	h                        *H1
	axis                     countAxis
	left, right, top, bottom float64
}

func (p plot) x(v float64) float64 {
	return p.left + (v-p.h.Low)/(p.h.High-p.h.Low)*(p.right-p.left)
}

func (p plot) y(count float64) float64 {
	return p.bottom - p.axis.height(count)*(p.bottom-p.top)
}

// countAxis draws a hair line across the picture for every labelled tick, a short mark for the others.
func (p plot) countAxis(b *strings.Builder) {
	for _, t := range p.axis.ticks {
		y := p.y(t.value)
		if y < p.top-0.5 {
			continue
		}
		if t.label == "" {
			fmt.Fprintf(b, `<path d="M%s %sh-3" stroke="currentColor" stroke-opacity="0.45"/>`+"\n", px(p.left), px(y))
			continue
		}
		fmt.Fprintf(b, `<path d="M%s %sH%s" stroke="currentColor" stroke-opacity="0.13"/>`, px(p.left-4), px(y), px(p.right))
		fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="end">%s</text>`+"\n", px(p.left-7), px(y+3.8), escape(t.label))
	}
}

// area draws the steps, filled down to the axis. Neighbours of equal height share one line.
func (p plot) area(b *strings.Builder) {
	var d strings.Builder
	fmt.Fprintf(&d, "M%s %s", px(p.left), px(p.bottom))
	for i, c := range p.h.Counts {
		if i == 0 || c != p.h.Counts[i-1] {
			fmt.Fprintf(&d, "V%s", px(p.y(c)))
		}
		if i == len(p.h.Counts)-1 || c != p.h.Counts[i+1] {
			fmt.Fprintf(&d, "H%s", px(p.x(p.h.Edge(i+1))))
		}
	}
	fmt.Fprintf(&d, "V%s", px(p.bottom))
	fmt.Fprintf(b, `<path d="%s" fill="%s" fill-opacity="0.35" stroke="%s" stroke-width="1.3" stroke-linejoin="round"/>`+"\n",
		d.String(), svgArea, svgArea)
}

func (p plot) valueAxis(b *strings.Builder, w int) {
	fmt.Fprintf(b, `<path d="M%s %sV%sH%s" fill="none" stroke="currentColor" stroke-opacity="0.6"/>`+"\n",
		px(p.left), px(p.top), px(p.bottom), px(p.right))
	for _, t := range linearTicks(p.h.Low, p.h.High, max(2, w/70)) {
		x := p.x(t.value)
		fmt.Fprintf(b, `<path d="M%s %sv4" stroke="currentColor" stroke-opacity="0.6"/>`, px(x), px(p.bottom))
		fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="middle">%s</text>`+"\n", px(x), px(p.bottom+15), escape(t.label))
	}
	fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="end" font-size="12" font-weight="600">%s</text>`+"\n",
		px(p.right), px(p.bottom+31), escape(p.h.axisTitle()))
}

// px prints a coordinate with a tenth of a pixel: enough for the eye, short in the file.
func px(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return "" // a strings.Builder never fails
	}
	return b.String()
}
