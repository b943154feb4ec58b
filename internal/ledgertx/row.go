package ledgertx

import (
	"bytes"
	"cmp"
	"encoding/json"
	"time"

	"tfpilot/internal/ledger"
)

// SliceRow is a slice as a store has it: its document, and beside that what the store is asked for.
type SliceRow struct {
	// ID is its number in the store, 0 of one that was not read there.
	ID int64
	ledger.Key
	// Described says that a row with a number is to have another Filename, Created, STF or Message than it had; all else may have changed
	// in any case.
	Described bool

	State    ledger.SliceState
	Filename string
	// Pilot is who had it last; Class and Failure are what it failed with, or the latest of its attempts that failed, also when another one
	// has made it done.
	Pilot, Class, Failure       string
	Created, STF, Finished, Due int64
	Doc, Message                []byte
	// Requests are when the attempts were asked for that a nameless failure may mean.
	Requests []int64
}

// entry is a slice of a transaction: nil when it is known not to be there.
type entry struct {
	*ledger.Slice

	dirty bool
	id    int64
	// was is of it as it was read, as far as it hardly ever changes.
	was struct {
		filename     string
		created, stf time.Time
		message      json.RawMessage
	}
}

func (e *entry) row() (SliceRow, error) {
	row, err := rowOf(e.Slice)
	row.ID = e.id
	row.Described = e.Filename != e.was.filename || !e.CreatedAt.Equal(e.was.created) || !e.STFAt.Equal(e.was.stf) || !bytes.Equal(e.Message, e.was.message)
	return row, err
}

func rowOf(s *ledger.Slice) (SliceRow, error) {
	doc, err := encode(s)
	row := SliceRow{
		Key: s.Key, State: s.State, Filename: ledger.Text(ledger.FileName(s.Filename)), Created: ledger.Micros(s.CreatedAt), STF: ledger.Micros(s.STFAt), Finished: ledger.Micros(s.FinishedAt),
		Doc: doc, Message: s.Message,
	}
	row.Class, row.Failure = s.Trouble()
	switch {
	case s.Unsent != 0:
		row.Due = 1
	case s.State == ledger.Waiting && len(s.Message) > 0: // without its message it waits for that, and stands in nobody's way
		row.Due = ledger.Micros(s.RetryAt)
	}
	for i := range s.Attempts {
		a := &s.Attempts[i]
		row.Pilot = cmp.Or(ledger.Text(a.PilotID), row.Pilot)
		// A dead letter may be lost in the transaction that it comes in.
		if (a.State == "sent" || a.State == "lost") && !a.CreatedAt.IsZero() {
			row.Requests = append(row.Requests, a.CreatedAt.UnixMicro())
		}
	}
	return row, err
}
