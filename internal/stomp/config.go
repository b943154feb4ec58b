package stomp

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"time"
)

// Config is how to connect. The zero value connects without credentials.
type Config struct {
	// Login and Passcode are sent as they are; without a Login neither is.
	Login, Passcode string
	// Host is the virtual host; the dialled host when empty.
	Host string
	// ClientID is sent as client-id; none when empty.
	ClientID string
	// HeartBeatSend and HeartBeatReceive are what we offer and ask for (10 s when 0, none when negative).
	HeartBeatSend, HeartBeatReceive time.Duration
	// MaxHeaderBytes and MaxBodyBytes bound a frame from the broker (128 KiB and 32 MiB when 0). A larger one ends the
	// connection before it takes the memory.
	MaxHeaderBytes, MaxBodyBytes int
	// MaxQueuedBytes bounds what a subscription's consumer may leave untaken (64 MiB when 0). Only an unlimited window,
	// such as automatic acknowledgement has, comes near.
	MaxQueuedBytes int
	// ReceiptLimit is how long a request may stay unanswered before the connection counts as broken (1 min when 0, for ever
	// when negative). A lost receipt would otherwise hold a slice until the end of the run.
	ReceiptLimit time.Duration
	// TLS is used by Dial when not nil; ServerName is the dialled host unless set.
	TLS *tls.Config
	// Logger gets oddities that end nothing; nobody when nil.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Host = cmp.Or(c.Host, "localhost")
	c.HeartBeatSend = max(cmp.Or(c.HeartBeatSend, 10*time.Second), 0)
	c.HeartBeatReceive = max(cmp.Or(c.HeartBeatReceive, 10*time.Second), 0)
	c.MaxHeaderBytes = cmp.Or(c.MaxHeaderBytes, 128<<10)
	c.MaxBodyBytes = cmp.Or(c.MaxBodyBytes, 32<<20)
	c.MaxQueuedBytes = cmp.Or(c.MaxQueuedBytes, 64<<20)
	c.ReceiptLimit = max(cmp.Or(c.ReceiptLimit, time.Minute), 0)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
