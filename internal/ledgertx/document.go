package ledgertx

import "tfpilot/internal/ledger"

// textKey is a key as a store writes it.
func textKey(key []string) []string {
	out := make([]string, len(key))
	for i, part := range key {
		out[i] = ledger.Text(part)
	}
	return out
}

// Document reads a document, and reports whether there is any.
func (b *Batch) Document(k ledger.Kind, into any, key ...string) (bool, error) {
	doc, err := b.rows.Document(k, textKey(key))
	if doc == nil || err != nil {
		return false, err
	}
	return true, decode(doc, into)
}

// PutDocument writes a document.
func (b *Batch) PutDocument(k ledger.Kind, document any, key ...string) error {
	doc, err := encode(document)
	if err != nil {
		return err
	}
	return b.rows.PutDocument(k, textKey(key), doc)
}

// DropDocument drops a document.
func (b *Batch) DropDocument(k ledger.Kind, key ...string) error {
	return b.rows.DropDocument(k, textKey(key))
}
