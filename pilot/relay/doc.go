// Package relay asks the PanDA server, which relays to iDDS, for the broker configuration: the way of a production worker.
//
// [FromEnvironment] reads what a PanDA pilot leaves in the environment of its job: where the server is, and a token or a proxy
// certificate. [Client.PromptBroker] makes the call that the production client makes (legacy endpoint, gzip body) and, where
// that endpoint is gone, the one of the server's new interface. TLS is verified always. Neither errors nor logs hold a secret.
package relay
