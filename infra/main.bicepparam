using 'main.bicep'

// azd, the pipeline and a shell all give these through the environment. Nothing here is secret.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param alertEmail = readEnvironmentVariable('ALERT_EMAIL')
param consoleClientId = readEnvironmentVariable('CONSOLE_CLIENT_ID', '')
param allowSecretWrites = bool(readEnvironmentVariable('ALLOW_SECRET_WRITES', 'false'))
param isolateNetwork = bool(readEnvironmentVariable('ISOLATE_NETWORK', 'false'))
