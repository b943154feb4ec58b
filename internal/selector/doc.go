// Package selector is the language in which a subscription says what it wants, as Artemis and Classic read it.
package selector
