package exitcode

// Fate is what a pilot does with a slice whose attempt has ended.
type Fate string

// The fates.
const (
	// FateResult publishes a result, done or failed, and acknowledges the slice. Of a failure, Retryable then says whether idds
	// sends the slice again.
	FateResult Fate = "result"
	// FateRest gives the slice back uncounted and lets the slot rest, because it is not the slice's fault; after some times the
	// same pilot publishes the failure all the same.
	FateRest Fate = "rest"
	// FateBack gives the slice back uncounted, however often: the slot is ending.
	FateBack Fate = "back"
)

// Fate is what becomes of a slice whose attempt ended so.
func (f Failure) Fate() Fate {
	switch f.Class {
	case ClassPreempted, ClassWalltime:
		return FateBack
	case ClassSite, ClassInfrastructure, ClassCredential, ClassConfiguration:
		return FateRest
	case ClassPayload, ClassData, ClassNone:
	}
	return FateResult
}
