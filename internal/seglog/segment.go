package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrDamaged marks a log that is not as it was written.
var ErrDamaged = errors.New("the log is damaged")

// ErrNewer marks a log of a later program.
var ErrNewer = errors.New("the log was written by a newer version of this program")

const (
	// headBytes are magic, format, version, number, end of the segment before, checksum.
	headBytes = 8 + 4 + 4 + 8 + 8 + 4
	// blockBytes are magic, length and checksum of a block.
	blockBytes = 4 + 4 + 4
	// format is that of the segments; the version of the records is the user's.
	format = 1
	suffix = ".log"
)

var (
	segmentMagic = []byte("tfpilotL")
	blockMagic   = []byte{0xb1, 'o', 'c', 'k'}
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%012d%s", number, suffix))
}

// segments are the numbers of the segments in a folder, in order and without a gap.
func segments(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the log: %w", err)
	}
	var numbers []uint64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(name, 10, 64)
		if err != nil || n == 0 || segmentPath(dir, n) != filepath.Join(dir, e.Name()) {
			return nil, fmt.Errorf("%w: %s is no segment", ErrDamaged, filepath.Join(dir, e.Name()))
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for i := 1; i < len(numbers); i++ {
		if numbers[i] != numbers[i-1]+1 {
			return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, segmentPath(dir, numbers[i-1]+1))
		}
	}
	return numbers, nil
}

// segmentHead is the beginning of a segment.
func segmentHead(version uint32, number uint64, before int64) []byte {
	b := make([]byte, 0, headBytes)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint64(b, number)
	b = binary.LittleEndian.AppendUint64(b, uint64(before))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// errTorn is what a crash in the middle of a write leaves. Whether there was one only the caller can know.
var errTorn = errors.New("torn")

// readHead checks the beginning of a segment and says where the one before ended.
func readHead(b []byte, version uint32, number uint64) (before int64, err error) {
	if len(b) < headBytes || crc32.Checksum(b[:headBytes-4], castagnoli) != binary.LittleEndian.Uint32(b[headBytes-4:]) {
		return 0, errTorn
	}
	if !bytes.Equal(b[:8], segmentMagic) || binary.LittleEndian.Uint64(b[16:]) != number {
		return 0, errTorn
	}
	for i, known := range []uint32{format, version} {
		if got := binary.LittleEndian.Uint32(b[8+4*i:]); got > known {
			return 0, fmt.Errorf("%w: version %d, this one knows %d", ErrNewer, got, known)
		}
	}
	return int64(binary.LittleEndian.Uint64(b[24:])), nil
}

// blockSum is over place and content, so that no block passes for another.
func blockSum(number uint64, offset int64, content []byte) uint32 {
	var place [20]byte
	binary.LittleEndian.PutUint64(place[:], number)
	binary.LittleEndian.PutUint64(place[8:], uint64(offset))
	binary.LittleEndian.PutUint32(place[16:], uint32(len(content)))
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, content)
}

// sealBlock fills in the head of a block that will stand at an offset.
func sealBlock(block []byte, number uint64, offset int64) {
	copy(block, blockMagic)
	binary.LittleEndian.PutUint32(block[4:], uint32(len(block)-blockBytes))
	binary.LittleEndian.PutUint32(block[8:], blockSum(number, offset, block[blockBytes:]))
}

// readBlock is the content of the block at an offset.
func readBlock(b []byte, number uint64, offset int64) (content []byte, err error) {
	rest := b[offset:]
	if len(rest) < blockBytes || !bytes.Equal(rest[:4], blockMagic) {
		return nil, errTorn
	}
	length := int64(binary.LittleEndian.Uint32(rest[4:]))
	if length > int64(len(rest)-blockBytes) {
		return nil, errTorn
	}
	content = rest[blockBytes : blockBytes+length]
	if blockSum(number, offset, content) != binary.LittleEndian.Uint32(rest[8:]) {
		return nil, errTorn
	}
	return content, nil
}

// blockAfter reports whether a whole block begins anywhere behind an offset: then what stands at the offset was synced once.
func blockAfter(b []byte, number uint64, offset int64) bool {
	for {
		i := bytes.Index(b[min(offset, int64(len(b))):], blockMagic)
		if i < 0 {
			return false
		}
		offset += int64(i)
		if _, err := readBlock(b, number, offset); err == nil {
			return true
		}
		offset++
	}
}

// records hands out the records of a block.
func records(content []byte, each func([]byte) error) error {
	for len(content) > 0 {
		n, used := binary.Uvarint(content)
		if used <= 0 || n > uint64(len(content)-used) {
			return errors.New("a record is longer than its block")
		}
		if err := each(content[used : used+int(n)]); err != nil {
			return err
		}
		content = content[used+int(n):]
	}
	return nil
}
