// Package metainfo is the broker configuration of a worker, [PromptBroker]: what it asks for before it can hear a message, as the production
// system has it. An iDDS answers GET /metainfo/prompt_broker with it, the PanDA server passes that on, and the content of prompt.conf is the
// same.
package metainfo
