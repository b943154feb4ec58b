package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// headBytes are two lengths and a checksum.
const headBytes = 12

// maxRecord bounds a record, so that a damaged length does not allocate the machine.
const maxRecord = 64 << 20

// record is one entry of the file. On disk: the lengths of head and result, a CRC-32C over both (12 bytes, little-endian), the
// head as JSON, the result as it will be sent.
type record struct {
	Op       string `json:"op"`
	Run      string `json:"run"`
	Identity string `json:"identity"`
	Attempt  int    `json:"attempt"`
	Done     bool   `json:"done,omitempty"`
	// At is when it was written, in seconds since 1970.
	At int64 `json:"at"`

	result []byte
}

const (
	opReceived = "r"
	opOutcome  = "o"
	opDropped  = "d"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendTo adds the record as it is on disk.
func (rec record) appendTo(b []byte) ([]byte, error) {
	head, err := json.Marshal(rec)
	if err != nil {
		return b, fmt.Errorf("encoding a journal record: %w", err)
	}
	start := len(b)
	b = append(append(append(b, make([]byte, headBytes)...), head...), rec.result...)
	written := b[start:]
	binary.LittleEndian.PutUint32(written, uint32(len(head)))
	binary.LittleEndian.PutUint32(written[4:], uint32(len(rec.result)))
	binary.LittleEndian.PutUint32(written[8:], crc32.Checksum(written[headBytes:], castagnoli))
	return b, nil
}

// read applies the records of a file until its end, or where it is torn. Its error is that of a file that cannot be read: then
// there may be more in it.
func read(r io.Reader, into entries) error {
	var lengths [headBytes]byte
	for {
		if _, err := io.ReadFull(r, lengths[:]); err != nil {
			return torn(err)
		}
		head, result := binary.LittleEndian.Uint32(lengths[:]), binary.LittleEndian.Uint32(lengths[4:])
		if head > maxRecord || result > maxRecord {
			return nil
		}
		body, err := io.ReadAll(io.LimitReader(r, int64(head)+int64(result)))
		if err != nil {
			return torn(err)
		}
		rec, ok := decode(body, int(head), int(result), binary.LittleEndian.Uint32(lengths[8:]))
		if !ok {
			return nil
		}
		into.apply(rec)
	}
}

// decode is false for a record that was not written to its end, or not by us.
func decode(body []byte, head, result int, sum uint32) (rec record, ok bool) {
	if len(body) < head+result || crc32.Checksum(body, castagnoli) != sum || json.Unmarshal(body[:head], &rec) != nil {
		return rec, false
	}
	if result > 0 {
		rec.result = body[head:]
	}
	return rec, true
}

// torn is nil for the end of a file, wherever it is.
func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
