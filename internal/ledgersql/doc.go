// Package ledgersql is what the ledger's stores in SQL databases have in common: the [Tables], the questions of a [Reader], the way
// from one [Schema] version to the next, and [Copy], which brings a whole state from one store to another and proves it.
//
// It speaks database/sql and a language that SQLite and PostgreSQL both understand, and links no driver. How to write well
// differs between them, and is theirs: idds/sqlite, idds/postgres.
package ledgersql
