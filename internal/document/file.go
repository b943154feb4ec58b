package document

import "time"

// STFFile is an STF file, as the data side announced it and as its slices know it.
type STFFile struct {
	Namespace string `json:"namespace"`
	RunID     string `json:"run_id"`
	// Filename is without folders; Path is what slices call it, where that is more.
	Filename  string `json:"filename"`
	Path      string `json:"path,omitempty"`
	SizeBytes int64  `json:"size_bytes,omitempty"`
	Adler32   string `json:"adler32,omitempty"`

	STF

	// TFFiles is how many time-frame files were registered of it.
	TFFiles     int `json:"tf_files"`
	Slices      int `json:"slices"`
	Done        int `json:"done"`
	Failed      int `json:"failed"`
	Outstanding int `json:"outstanding"`
	// STFCreatedAt is when it was complete, FirstCreatedAt when its first slice was, LastFinishedAt when the last of them ended so far.
	STFCreatedAt   time.Time `json:"stf_created_at,omitzero"`
	FirstCreatedAt time.Time `json:"first_created_at,omitzero"`
	LastFinishedAt time.Time `json:"last_finished_at,omitzero"`
}

// STF is what the data side alone says of an STF file; nothing of one of which only slices are known.
type STF struct {
	// Status is taken, or ready once a data agent has it.
	Status string `json:"status,omitempty"`
	// Sequence counts the files of a run.
	Sequence int64 `json:"sequence,omitempty"`
	// State and Substate are the detector's when it was taken.
	State    string `json:"state,omitempty"`
	Substate string `json:"substate,omitempty"`
	// Start and End are those of its data, TakenAt is when it was complete, ReadyAt when the data agent had it.
	Start   time.Time `json:"start,omitzero"`
	End     time.Time `json:"end,omitzero"`
	TakenAt time.Time `json:"taken_at,omitzero"`
	ReadyAt time.Time `json:"ready_at,omitzero"`
	// Frames is how many time frames it has.
	Frames int64  `json:"frames,omitempty"`
	URL    string `json:"url,omitempty"`
	// Checksum is as it was said, where that is no Adler-32.
	Checksum string `json:"checksum,omitempty"`
	// TakenBy and ReadyBy are who said so.
	TakenBy string `json:"taken_by,omitempty"`
	ReadyBy string `json:"ready_by,omitempty"`
}

// TFFile is a time-frame file: a sample of an STF.
type TFFile struct {
	Namespace string `json:"namespace"`
	RunID     string `json:"run_id"`
	Filename  string `json:"filename"`
	// STF is the file that it is of; empty where that was not said.
	STF string `json:"stf,omitempty"`
	// First and Last are its time frames in the STF, inclusive, from 0; absent where that was not said.
	First *int64 `json:"first,omitempty"`
	Last  *int64 `json:"last,omitempty"`
	Count int64  `json:"count,omitempty"`
	// SizeBytes is as it was said: the production simulation says the number of frames.
	SizeBytes    int64     `json:"size_bytes,omitempty"`
	Status       string    `json:"status,omitempty"`
	ID           string    `json:"id,omitempty"`
	RegisteredAt time.Time `json:"registered_at,omitzero"`
	RegisteredBy string    `json:"registered_by,omitempty"`
}
