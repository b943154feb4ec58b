// Package epictopic is what is heard on /topic/epictopic: what a run does, its STF and time-frame files, and the heart-beats of agents, said by
// producers of many ages in many shapes. One [Message] takes them all, and answers alike whoever sent it.
//
// It only reads: what daq says there are messages of [tfpilot/internal/message], each of one shape.
package epictopic
