"""The wire contract written down for others: JSON schemas, AsyncAPI, OpenAPI, TypeScript and a page, from the types."""
