// Package msgstore keeps on disk what a broker must not forget: persistent messages with the queues that they are in, how often
// they were delivered in vain, durable subscriptions, and the duplicate ids that addresses have seen. It knows nothing of
// connections, and of queues only names.
//
// What one command of a client does is one record of the log under it (internal/seglog), so that a crash leaves all of it or
// nothing: the broker tells the [Store] of each change, and then calls [Store.Commit]. records.go says what is in the log,
// store.go what goes into it and how its oldest segments are freed, restore.go how it is read.
//
// A nil [Store] keeps nothing: that of a broker in memory. The broker's lock guards a Store; only Wait, Progress and Failed may
// be called without it.
package msgstore
