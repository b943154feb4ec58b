// Package seglog is a log of records on disk: they are appended, read once at the start, and freed from the oldest on. It knows
// nothing of what they say.
//
// [Log.Append] never waits. One goroutine writes what has gathered as one block and syncs it, so that whoever appended
// meanwhile shares the sync; [Log.Progress] says how far that is. Records of one block are all there after a crash, or none.
//
// A log is a folder of segments, files named by their number. Each begins with a header: format, version of the records, number,
// and where the segment before it ended. Blocks follow, each with its length and a CRC-32C over segment, offset and content. A
// block is written when the one before it is synced. So what is wrong with the last block is what a crash has left, and is
// dropped; whatever is wrong with another is damage, which [Open] reports with file and offset ([ErrDamaged]): it drops nothing
// that was synced. Of a log that was closed an empty block is the end, so that no byte of it can change unnoticed.
//
// A full disk is waited out: [Log.Full] says so, to refuse what makes the log longer, while a reserve is given up for what makes
// it shorter. Any other error of the disk ends the log ([Log.Failed]), because nobody knows then what is on it.
package seglog
