// Package workflow has the rules of workflow tasks: what becomes of a request for workers that the production system makes of an
// iDDS, by message or over REST. Like [ledger.Rules] they have no state of their own: all is in the transaction.
package workflow
