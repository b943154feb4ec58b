package document

import "time"

// TokenRequest is POST /v1/tokens: a token that is wanted.
type TokenRequest struct {
	// Name says to people what it is for.
	Name string `json:"name" minLength:"1" maxLength:"100" doc:"what it is for, in words"`
	Role string `json:"role" enum:"pilot,harvester,operator,viewer"`
	// Namespace is the only one that it is for; every one when empty.
	Namespace string `json:"namespace,omitempty" maxLength:"200" doc:"the only namespace that it is for; every one when it is empty"`
	// Seconds is how long it lives; for ever when it is 0, or not said.
	Seconds *float64 `json:"seconds,omitempty" minimum:"0" maximum:"3153600000" doc:"how long it lives; for ever when it is 0"`
}

// Token is a token without its secret.
type Token struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Namespace string    `json:"namespace,omitempty"`
	State     string    `json:"state" enum:"valid,expired,revoked"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
}

// NewToken is a token with its secret, which is said this once.
type NewToken struct {
	Token
	Secret string `json:"token"`
}

// AuditLine is one change that somebody made.
type AuditLine struct {
	At        time.Time `json:"at"`
	Who       string    `json:"who"`
	Role      string    `json:"role"`
	From      string    `json:"from" doc:"the address that the request came from"`
	Did       string    `json:"did"`
	To        string    `json:"to"`
	Namespace string    `json:"namespace,omitempty"`
	Details   string    `json:"details,omitempty"`
}
