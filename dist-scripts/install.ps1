<#
.SYNOPSIS
Installs ccrouter for one user on Windows: finds the archive for this machine, verifies it, puts it on the PATH.

.DESCRIPTION
    .\install.ps1                        install the newest release, or upgrade to it
    .\install.ps1 -Version 1.2.3         that one
    .\install.ps1 -To C:\tools\ccrouter  there instead of %LOCALAPPDATA%\Programs\ccrouter
    .\install.ps1 -Uninstall             remove the program, what it cached and remembers, and its entry in the PATH
    .\install.ps1 -Uninstall -Purge      and the configuration; all of it where the program is gone already, too

The variable CCROUTER_RELEASES is where releases are, if not where this copy of the script came from:
https://HOST/OWNER/REPOSITORY/releases. Works with Windows PowerShell 5.1 and newer.
#>
[CmdletBinding()]
param(
    [string] $Version = 'latest',
    [string] $To = '',
    [switch] $Uninstall,
    [switch] $Purge
)

$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 3.0
# The progress bar of Windows PowerShell 5.1 makes a download many times slower.
$ProgressPreference = 'SilentlyContinue'

# A release writes its own place here; a copy from the sources knows none.
$Releases = if ($env:CCROUTER_RELEASES) { $env:CCROUTER_RELEASES } else { '@RELEASES@' }

function Stop-Install([string] $Words) {
    # Without a file this runs in the user's own shell, as by `irm ... | iex`, which `exit` would close.
    if (-not $PSCommandPath) { throw "install.ps1: $Words" }
    [Console]::Error.WriteLine("install.ps1: $Words")
    exit 1
}

function Get-Architecture {
    # What the machine is, also when this PowerShell runs translated.
    $native = [Environment]::GetEnvironmentVariable('PROCESSOR_ARCHITECTURE', 'Machine')
    switch ($native) {
        'AMD64' { return 'x64' }
        'ARM64' { return 'x64' }  # Windows 11 on ARM runs it translated
        default { Stop-Install "there is no program for $native; with Python 3.11 or newer, install the sources by pipx" }
    }
}

function Get-File([string] $From, [string] $File) {
    # Windows PowerShell 5.1 offers TLS 1.0 first where nobody tells it otherwise.
    [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
    try {
        Invoke-WebRequest -Uri $From -OutFile $File -UseBasicParsing
    }
    catch {
        Stop-Install "could not download ${From}: $($_.Exception.Message)"
    }
}

function Get-UserPath {
    # Unexpanded: written back, %USERPROFILE% stays what it is.
    $key = [Microsoft.Win32.Registry]::CurrentUser.OpenSubKey('Environment')
    $value = $key.GetValue('Path', '', [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
    $key.Close()
    return @($value -split ';' | Where-Object { $_ })
}

function Set-UserPath([string[]] $Entries) {
    $key = [Microsoft.Win32.Registry]::CurrentUser.OpenSubKey('Environment', $true)
    $key.SetValue('Path', ($Entries -join ';'), [Microsoft.Win32.RegistryValueKind]::ExpandString)
    $key.Close()
    # Setting a variable in this way tells running programs, such as Explorer, to read their environment anew.
    [Environment]::SetEnvironmentVariable('CCROUTER_INSTALL', $null, 'User')
}

function Test-SamePlace([string] $One, [string] $Other) {
    return [Environment]::ExpandEnvironmentVariables($One).TrimEnd('\') -eq $Other.TrimEnd('\')
}

function Test-Program([string] $Place) {
    # Whether the program is what lies there: it may be a folder of the user's own.
    foreach ($name in 'ccrouter.exe', 'NOTICES.txt') {
        if (-not (Test-Path -LiteralPath (Join-Path $Place $name) -PathType Leaf)) { return $false }
    }
    return $true
}

function Install-Program {
    if ($Releases.StartsWith('@')) {
        Stop-Install 'this copy does not know where releases are: take it from a release, or set CCROUTER_RELEASES'
    }
    if ($Releases -notmatch '^https://|^http://(127\.0\.0\.1|localhost):') {
        Stop-Install 'CCROUTER_RELEASES must begin with https://'
    }
    $place = $Releases.TrimEnd('/')
    $suffix = "windows-$(Get-Architecture)"
    $from = if ($Version -eq 'latest') { "$place/latest/download" } else { "$place/download/v$($Version -replace '^v', '')" }

    if ((Test-Path -LiteralPath $To) -and -not (Test-Program $To) -and (Get-ChildItem -Force -LiteralPath $To)) {
        Stop-Install "$To is not the program's; say where else to with -To DIR"
    }
    New-Item -ItemType Directory -Force -Path (Split-Path $To) | Out-Null
    # Beside its place: the last step is then a rename.
    $work = Join-Path (Split-Path $To) ".ccrouter-install-$([guid]::NewGuid().ToString('N'))"
    New-Item -ItemType Directory -Path $work | Out-Null
    try {
        Get-File "$from/SHA256SUMS" (Join-Path $work 'SHA256SUMS')
        $pattern = "^([0-9a-f]{64}) [ *](ccrouter-[0-9A-Za-z.+-]+-$suffix)\.zip$"
        $line = Get-Content (Join-Path $work 'SHA256SUMS') | Where-Object { $_ -cmatch $pattern } | Select-Object -First 1
        if (-not $line) { Stop-Install "the release at $from has no program for $suffix" }
        $null = $line -cmatch $pattern
        $expected = $Matches[1]
        $stem = $Matches[2]
        $archive = Join-Path $work "$stem.zip"
        Get-File "$from/$stem.zip" $archive
        $actual = (Get-FileHash -Algorithm SHA256 $archive).Hash.ToLowerInvariant()
        if ($actual -ne $expected) {
            Stop-Install "$stem.zip is not what the release says it is (SHA-256 $actual instead of $expected); nothing was installed"
        }
        Expand-Archive -Path $archive -DestinationPath $work
        $unpacked = Join-Path $work $stem
        # Tried before it takes the place of one that works.
        $told = & (Join-Path $unpacked 'ccrouter.exe') --version
        if ($LASTEXITCODE -ne 0) { Stop-Install 'the program does not run here' }
        if (Test-Path $To) {
            # Of an upgrade that was cut off.
            if (Test-Program "$To.old") { Remove-Item -Recurse -Force "$To.old" }
            try {
                Rename-Item $To "$(Split-Path -Leaf $To).old"
            }
            catch {
                Stop-Install "$To is in use: stop ccrouter first"
            }
        }
        try {
            Move-Item $unpacked $To
        }
        catch {
            $why = $_.Exception.Message
            if ((Test-Path "$To.old") -and -not (Test-Path $To)) { Rename-Item "$To.old" (Split-Path -Leaf $To) }
            Stop-Install "can't write to ${To}: $why; nothing was installed"
        }
        Remove-Item -Recurse -Force "$To.old" -ErrorAction SilentlyContinue
    }
    finally {
        Remove-Item -Recurse -Force $work -ErrorAction SilentlyContinue
    }

    "$told is installed in $To"
    $entries = @(Get-UserPath)
    if (-not ($entries | Where-Object { Test-SamePlace $_ $To })) {
        Set-UserPath @($entries + $To)
        'It is on your PATH in terminals that you open from now on.'
    }
    'Begin with: ccrouter run'
}

function Get-RuntimeFolder {
    # Where a running router says who it is.
    $places = @($env:XDG_RUNTIME_DIR) + @(@($env:TMPDIR, $env:TEMP, $env:TMP) | Where-Object { $_ } | Select-Object -First 1)
    foreach ($place in $places) {
        if (-not $place -or -not [IO.Path]::IsPathRooted($place)) { continue }
        $folder = Join-Path $place 'ccrouter'
        if (Test-Path -LiteralPath $folder -PathType Container) { $folder }
    }
}

function Remove-Program {
    $removed = @()
    $cache = Join-Path $env:LOCALAPPDATA 'ccrouter'
    $configuration = Join-Path $env:APPDATA 'ccrouter'
    $places = @()
    if (Test-Program $To) { $places += $To } elseif (Test-Path -LiteralPath $To) { "$To is not the program, and stays" }
    if (Test-Program "$To.old") { $places += "$To.old" }
    # The rest is of whatever ccrouter the user has, which may be in another place.
    if (-not $places -and -not $Purge) {
        Stop-Install "there is no ccrouter in $To; say where from with -To DIR, or remove what it kept with -Purge"
    }
    $places += $cache
    if ($Purge) { $places += $configuration }
    foreach ($place in $places) {
        if (-not (Test-Path $place)) { continue }
        try {
            Remove-Item -Recurse -Force $place
        }
        catch {
            Stop-Install "$place is in use: stop ccrouter first"
        }
        $removed += $place
    }
    foreach ($place in Get-RuntimeFolder) {
        # A router that was killed has left its token there; nothing else in it is the program's.
        Get-ChildItem -LiteralPath $place -File | Where-Object { $_.Name -match '^([a-z]+-)?\d+\.(json|\d+)$' } | Remove-Item -Force
        if (Get-ChildItem -Force -LiteralPath $place) { continue }
        Remove-Item -Force -LiteralPath $place
        $removed += $place
    }
    $entries = @(Get-UserPath)
    $kept = @($entries | Where-Object { -not (Test-SamePlace $_ $To) })
    if ($kept.Count -ne $entries.Count) { Set-UserPath $kept }
    if ((Test-Path $configuration) -and -not $Purge) {
        "Your configuration is kept in $configuration (-Purge removes it too)"
    }
    if (-not $removed) { Stop-Install "there is no ccrouter in $To" }
    "removed: $($removed -join ', ')"
}

if ($Purge -and -not $Uninstall) { Stop-Install '-Purge goes with -Uninstall' }
if (-not $To) { $To = Join-Path $env:LOCALAPPDATA 'Programs\ccrouter' }
$To = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($To)
if ($Uninstall) { Remove-Program } else { Install-Program }
